//! The device side of vhost-user: ports that face virtual machines.
