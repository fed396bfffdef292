//! [`Caller`]: the `tracing` span of a call, and what is told of it to the process
//! that runs the function.
//!
//! Spans have ids only within their process. So a process that runs a function
//! opens a span of its own, `call`, and records in it from which span the call came.
//! Without the feature `tracing` nothing of this is done, and what comes from
//! programs that have it is ignored.

/// A span of another process: its name, and its id there.
pub(crate) type Caller = (String, u64);

/// Returns the span of this thread, if it is in one.
pub(crate) fn current_caller() -> Option<Caller> {
    #[cfg(feature = "tracing")]
    {
        let span = tracing::Span::current();
        let (metadata, id) = (span.metadata()?, span.id()?);
        Some((metadata.name().to_owned(), id.into_u64()))
    }
    #[cfg(not(feature = "tracing"))]
    None
}

/// A call that came by a cluster: its submitter, and its number there.
pub(crate) type Origin<'a> = (&'a str, u64);

/// Runs a function for another process, in a span of its own, with an event for its
/// start and its end.
#[cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "nothing is told of the call")
)]
pub(crate) fn in_span<T>(
    function: &str,
    caller: Option<&Caller>,
    origin: Option<Origin<'_>>,
    run: impl FnOnce() -> T,
) -> T {
    #[cfg(feature = "tracing")]
    {
        let span = tracing::info_span!(
            target: "as_completed",
            "call",
            function,
            caller.span = caller.map(|(span, _)| &**span),
            caller.id = caller.map(|(_, id)| id),
            submitter = origin.map(|(submitter, _)| submitter),
            number = origin.map(|(_, number)| number),
        );
        span.in_scope(|| {
            tracing::debug!(target: "as_completed", "started");
            let result = run();
            tracing::debug!(target: "as_completed", "ended");
            result
        })
    }
    #[cfg(not(feature = "tracing"))]
    run()
}

/// The span in which a function was called, for the thread that makes the call.
#[derive(Clone)]
pub(crate) struct Scope(#[cfg(feature = "tracing")] tracing::Span);

impl Scope {
    pub(crate) fn current() -> Self {
        Self(
            #[cfg(feature = "tracing")]
            tracing::Span::current(),
        )
    }

    #[cfg_attr(
        not(feature = "tracing"),
        allow(clippy::unused_self, reason = "there is no span")
    )]
    pub(crate) fn run<T>(&self, run: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.0.enter();
        run()
    }
}
