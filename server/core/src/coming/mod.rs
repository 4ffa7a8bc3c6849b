//! Coming over: people, roster, policies and rules as one file, what that file would change, and what other products call the same; pure.
//!
//! A file is read ([`reading`]), tidied and held against what is known ([`plan`]). A product's lists become the very same file
//! ([`products`]): importing is converting and applying. Names are the identity of everything, since ids differ between installations.

pub mod converted;
pub mod file;
pub mod goalert;
pub mod lines;
pub mod oncall;
pub mod opsgenie;
pub mod pagerduty;
pub mod plan;
pub mod products;
pub mod reading;
pub mod recognised;
pub mod tidy;
