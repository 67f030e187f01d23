//! What goes wrong around a gateway that is a process of its own, with real sockets and a stand-in CAS.

mod devices;
mod process;
mod restart;
