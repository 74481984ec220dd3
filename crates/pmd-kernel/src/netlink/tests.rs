//! What the kernel says, and what it should not.
use super::*;
use proptest::prelude::*;

/// A message about an interface, as the kernel writes it.
fn message_of(kind: u16, index: i32, flags: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    body.extend([0; 4]);
    for (kind, value) in attributes {
        body.extend((value.len() as u16 + 4).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut bytes = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(body);
    bytes
}

#[test]
fn messages_are_read_one_after_the_other() {
    let mtu = 1400u32.to_ne_bytes();
    let counters = [1u64, 2].map(u64::to_ne_bytes).concat();
    let is: [(u16, &[u8]); 4] = [
        (3, b"lc0\0"),
        (IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
        (IFLA_MTU, &mtu),
        (IFLA_STATS64, &counters),
    ];
    let mut bytes = message_of(libc::RTM_NEWLINK, 7, 0x10041, &is);
    bytes.extend(message_of(libc::RTM_DELLINK, 8, 0, &[]));
    let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
    let first = News::Is { index: 7, flags: 0x10041, mtu: Some(1400), mac, counters: vec![1, 2] };
    assert_eq!(news(&bytes), [first, News::Removed { index: 8 }]);
}

#[test]
fn what_is_cut_short_or_about_something_else_is_left_out() {
    let whole = message_of(libc::RTM_NEWLINK, 7, 0, &[]);
    assert_eq!(news(&whole).len(), 1);
    assert_eq!(news(&whole[..whole.len() - 1]), []);
    assert_eq!(news(&message_of(libc::RTM_NEWADDR, 7, 0, &[])), []);
    let odd: [(u16, &[u8]); 2] = [(IFLA_ADDRESS, &[1, 2, 3]), (IFLA_MTU, &[1])];
    let Some(News::Is { mtu, mac, .. }) = news(&message_of(libc::RTM_NEWLINK, 7, 0, &odd)).pop()
    else {
        panic!("an interface is told of");
    };
    assert_eq!((mtu, mac), (None, None));
}

#[test]
fn a_question_is_one_message() {
    let question = question(9);
    assert_eq!(split_message(&question).map(|(kind, _, rest)| (kind, rest)), Some((18, &[][..])));
    assert_eq!(word(&question, 20), Some(9));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        news(&bytes);
        let mut about = message_of(libc::RTM_NEWLINK, 1, 0, &[]);
        about.extend(&bytes);
        let len = about.len() as u32;
        about[..4].copy_from_slice(&len.to_ne_bytes());
        news(&about);
    }
}
