//! virtio-net ports: over PCI, vhost-user and vhost-net.
