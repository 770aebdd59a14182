//! Servers that do what they are told, wrong things too, and the generator run against them.
#![allow(dead_code, unused_imports)] // each file of tests is a program of its own and uses its part
mod chat;
mod fault;
pub(crate) mod frames;
mod log;
mod mark;
mod outlet;
mod proto;
mod raw;
mod run;
mod tls;

pub(crate) use chat::{Kind, Server, serve};
pub(crate) use fault::Fault;
pub(crate) use mark::Mark;
pub(crate) use raw::{drain, raw, requested, upgraded, upgraded_with};
pub(crate) use run::{Outcome, at_once, bench, finish, run, start};
pub(crate) use tls::Secure;
