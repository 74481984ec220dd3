//! Other sides that go away, are silent, or talk nonsense.

use super::*;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A peer that answers the first requests as `answers` say, and then closes its end.
fn against(answers: Vec<Vec<u8>>) -> Result<UserDevice, DeviceError> {
    let (near, mut far) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        let mut sink = [0; 4096];
        for answer in answers {
            if far.read(&mut sink).is_err() || far.write_all(&answer).is_err() {
                break;
            }
        }
    });
    let device = UserDevice::over("peer", near);
    peer.join().unwrap();
    device
}

fn reply(id: u16, command: Request, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [id, command as u16].map(u16::to_ne_bytes).concat();
    let length = message::HEADER + payload.len();
    for word in [length as u32, 1, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_peer_that_closes_is_a_device_that_is_gone() {
    let error = against(Vec::new()).unwrap_err();
    assert!(matches!(error, DeviceError::Removed { .. }), "{error}");
    let version = reply(0, Request::Version, &[0, 0, 1, 0]);
    let error = against(vec![version]).unwrap_err();
    assert!(matches!(error, DeviceError::Removed { .. }), "{error}");
}

#[test]
fn another_version_and_another_kind_of_device_are_refused() {
    let error = against(vec![reply(0, Request::Version, &[1, 0, 0, 0])]).unwrap_err();
    assert!(error.to_string().contains("version"), "{error}");
    let version = reply(0, Request::Version, &[0, 0, 1, 0]);
    let error = against(vec![version, reply(1, Request::DeviceInfo, &[0; 16])]).unwrap_err();
    assert!(error.to_string().contains("PCI"), "{error}");
}

#[test]
fn an_answer_to_another_question_is_nonsense() {
    let error = against(vec![reply(7, Request::Version, &[0, 0, 1, 0])]).unwrap_err();
    assert!(matches!(error, DeviceError::Removed { .. }), "{error}");
}

/// What comes of an answer that is sent byte by byte, each with eight descriptors.
fn in_pieces(until: Instant) -> std::io::Result<(u16, message::Message)> {
    let (near, far) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        let fds = [far.as_fd(); 8];
        let answer = reply(0, Request::Version, &[0; 100]);
        answer.iter().take_while(|byte| message::send(&far, &[**byte], &fds).is_ok()).count()
    });
    let got = message::receive(&near, until);
    drop(near);
    peer.join().unwrap();
    got
}

#[test]
fn an_answer_in_pieces_has_a_limit_in_time() {
    let error = in_pieces(Instant::now()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn an_answer_in_pieces_brings_no_flood_of_descriptors() {
    let (_, got) = in_pieces(Instant::now() + Duration::from_secs(20)).unwrap();
    assert_eq!((got.bytes.len(), got.fds.len()), (100, 8));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn noise_is_an_error_and_no_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(against(vec![noise]).is_err());
    }

    #[test]
    fn descriptions_of_noise_are_an_error_and_no_panic(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..4),
    ) {
        let mut answers = vec![reply(0, Request::Version, &[0, 0, 1, 0])];
        answers.push(reply(1, Request::DeviceInfo, &[16, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0]));
        let commands = [Request::RegionInfo, Request::RegionRead, Request::RegionRead];
        for (at, payload) in payloads.iter().enumerate() {
            answers.push(reply(at as u16 + 2, commands[at], payload));
        }
        prop_assert!(against(answers).is_err());
    }
}
