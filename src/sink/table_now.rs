//! The table of the destination as it is now, for commands that write nothing.

use std::sync::Arc;

use crate::config::Config;
use crate::destination::Destination;
use crate::error::Result;
use crate::rows::Plan;
use crate::sink::adapters::{away_from_the_caller, open_destination};
use crate::threads::stop_signal::StopSignal;

/// A connected destination and the plan for its table. Drop it away from the caller.
pub(super) type TableNow = (Box<dyn Destination>, Arc<Plan>);

pub(super) fn connect(config: &Config) -> Result<TableNow> {
    let mut destination = open_destination(config, StopSignal::new())?;
    let config = config.clone();
    away_from_the_caller(move || {
        let plan = Plan::new(&config, &destination.connect()?)?;
        Ok((destination, Arc::new(plan)))
    })
}

/// The plan alone.
pub(super) fn plan(config: &Config) -> Result<Arc<Plan>> {
    let mut destination = open_destination(config, StopSignal::new())?;
    let config = config.clone();
    away_from_the_caller(move || Plan::new(&config, &destination.connect()?).map(Arc::new))
}
