//! Connections: how many there are, how slow each may be, and TLS if it is on. One that sends its headers bit by bit, or does not
//! take what it has asked for, is cut off; it holds nothing but itself up.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::accept::{Accept, NoDelayAcceptor};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;

/// How long the headers of a request may take, and how long a connection may be idle between two. Clients of ours give theirs up
/// before.
const HEADERS: Duration = Duration::from_secs(30);
/// How long the other end may take none of what it is sent.
const STILL: Duration = Duration::from_mins(1);
/// The most connections at once.
const CONNECTIONS: usize = 65_536;
/// Files that are kept for everything but connections.
const OTHER_FILES: usize = 256;

/// Serves until `handle` is told to end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = Server::from_listener(listener).handle(handle).http1_only().acceptor(Doorkeeper::new(room()));
    server.http_builder().http1().header_read_timeout(Some(HEADERS));
    match tls {
        Some(config) => server.map(|doorkeeper| RustlsAcceptor::new(config).acceptor(doorkeeper)).serve(service).await,
        None => server.serve(service).await,
    }
}

/// How many connections there is room for: this process may have so many files open.
fn room() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "raising the number of open files");
        }
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        files.saturating_sub(OTHER_FILES).clamp(1, CONNECTIONS)
    }
    #[cfg(not(unix))]
    CONNECTIONS
}

/// Lets connections in, up to a number; what is more is cut off.
#[derive(Clone)]
struct Doorkeeper(Arc<Semaphore>);

impl Doorkeeper {
    fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Doorkeeper {
    type Stream = Connection;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Connection, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = Arc::clone(&self.0).try_acquire_owned();
        Box::pin(async move {
            let place = place.map_err(|_| io::Error::other("there are too many connections"))?;
            let (stream, service) = NoDelayAcceptor::new().accept(stream, service).await?;
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(STILL));
            Ok((Connection { stream: Box::pin(stream), _place: place }, service))
        })
    }
}

/// A connection, and its place among those that there may be.
struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, to)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
