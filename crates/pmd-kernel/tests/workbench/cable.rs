//! A cable for ports on interfaces that are there.

use crate::workbench::start;
use linecard_pmd_core::{Driver, Port, PortConfig, Queues, Started};
use linecard_testbed::netns::{Netns, Veth};

/// Two namespaces with a cable between them; ports are made in the first.
pub(crate) struct Cable {
    pub(crate) veth: Veth,
    pub(crate) near: Netns,
    pub(crate) far: Netns,
}

impl Cable {
    pub(crate) fn lay() -> Self {
        let (near, far) = (Netns::new("near").expect("one"), Netns::new("far").expect("another"));
        let veth = Veth::between(&near, &far).expect("a cable");
        Cable { veth, near, far }
    }

    /// Opens a port in the first namespace, and starts it there.
    pub(crate) fn start_port<D: Driver + 'static>(
        &self,
        open: impl FnOnce() -> D + Send,
        config: PortConfig,
    ) -> (Port<Started>, Queues) {
        self.near.inside(|| start(open(), config)).expect("inside")
    }
}
