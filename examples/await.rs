//! Handles are futures: any runtime can await them, and so can this small executor.

use as_completed::{JoinError, ThreadPool};
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

struct Unpark(Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn main() -> Result<(), JoinError> {
    let pool = ThreadPool::new(2);
    let mut answer = std::pin::pin!(async {
        let (six, seven) = (pool.submit(|| 6), pool.submit(|| 7));
        Ok(six.await? * seven.await?)
    });
    let waker = Arc::new(Unpark(thread::current())).into();
    let product: i32 = loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(product) => break product?,
            Poll::Pending => thread::park(),
        }
    };
    assert_eq!(product, 42);
    Ok(())
}
