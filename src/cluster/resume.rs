//! [`Cluster::resume`]: the calls that an earlier submitter has left.

use super::Cluster;
use super::error::ClusterError;
use super::submitter::{Claim, Command};
use crate::error::Panic;
use crate::function::{Function, Remote, decode, handle};
use crate::sync::unbounded;
use crate::task::JoinHandle;
use crate::unwind;
use serde::de::DeserializeOwned;
use std::sync::Arc;

impl Cluster {
    /// Returns the calls of one function that earlier clusters with the same
    /// [`durable`](super::ClusterBuilder::durable) name have left, each with its
    /// argument.
    ///
    /// Some wait or run, others have ended: their handles resolve as those of
    /// calls made here. A call is returned once; its result is removed from the
    /// server right before its handle resolves. What is not in the list was never
    /// stored, was picked up before, or ended more than seven days ago.
    ///
    /// Blocks until the server has sent the list, with all arguments.
    ///
    /// # Errors
    ///
    /// [`ClusterError`] if this cluster has no durable name, if the server does not
    /// answer, or if an argument cannot be decoded: then nothing is taken.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use as_completed::as_completed;
    /// use as_completed::cluster::Cluster;
    /// use as_completed::function::{Function, Functions};
    /// use std::collections::HashSet;
    ///
    /// const SQUARE: Function<u64, u64> = Function::new("square", |n| n * n);
    ///
    /// let functions = Functions::new().with(SQUARE);
    /// let cluster = Cluster::builder("nats://localhost", functions).durable("nightly").connect()?;
    /// let mut squares = cluster.resume(SQUARE)?;
    /// let there: HashSet<u64> = squares.iter().map(|(n, _)| *n).collect();
    /// let missing = (0..5000).filter(|n| !there.contains(n));
    /// squares.extend(missing.map(|n| (n, cluster.call(SQUARE, n))));
    /// for (n, square) in as_completed(squares) {
    ///     assert_eq!(square.join()?, n * n);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume<A, R>(
        &self,
        function: Function<A, R>,
    ) -> Result<Vec<(A, JoinHandle<R>)>, ClusterError>
    where
        A: DeserializeOwned,
        R: DeserializeOwned + Send + 'static,
    {
        let name = function.name();
        let (tell, told) = unbounded();
        let ended = || ClusterError::Start("the client has ended".to_owned());
        let asked = self.link.commands.send(Command::List(name, tell));
        asked.map_err(|_| ended())?;
        let left = told.recv().map_err(|_| ended())??;
        let decoded = |bytes: &[u8]| {
            unwind::catch(|| decode::<A>(bytes)).unwrap_or_else(|payload| {
                let panic = Panic::new(payload);
                let text = panic.to_string();
                unwind::discard(panic);
                Err(text)
            })
        };
        let mut arguments = Vec::with_capacity(left.len());
        for (_, argument) in &left {
            match decoded(argument) {
                Ok(argument) => arguments.push(argument),
                Err(cause) => {
                    let numbers = left.iter().map(|(number, _)| *number).collect();
                    let _ = self.link.commands.send(Command::Release(numbers));
                    for argument in arguments {
                        unwind::discard(argument);
                    }
                    return Err(ClusterError::Argument {
                        function: name.to_owned(),
                        cause,
                    });
                }
            }
        }
        let remote: Arc<dyn Remote> = Arc::clone(&self.link) as _;
        let mut claims = Vec::with_capacity(left.len());
        let mut handles = Vec::with_capacity(left.len());
        for ((number, _), argument) in left.into_iter().zip(arguments) {
            let (handle, settle) = handle(&remote, number, name);
            claims.push(Claim {
                number,
                function: name,
                settle,
            });
            handles.push((argument, handle));
        }
        self.link.state.lock().pending += claims.len();
        if let Err(unsent) = self.link.commands.send(Command::Claim(claims)) {
            // The promises are lost with it, and their handles say so.
            self.link.state.lock().pending -= handles.len();
            drop(unsent);
        }
        Ok(handles)
    }
}
