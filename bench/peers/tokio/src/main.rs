//! A chat or echo server on tokio-tungstenite, as a careful Rust user would write it without Longwire.
//!
//! Two tasks per connection, one reads and one writes; the text of a group message is encoded once and shared.
//! No durability, no limits on senders: it is here to be measured against, not to be used.
mod chat;
mod rooms;

use clap::{Parser, ValueEnum};
use futures_util::{SinkExt, StreamExt};
use rooms::Rooms;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// The tutorial's messages: `auth`, `message`, `joinGroup`
    Chat,
    /// Every message back to its sender
    Echo,
}

/// A server on tokio-tungstenite to measure against.
#[derive(Debug, Clone, Copy, Parser)]
struct Options {
    #[arg(value_enum)]
    kind: Kind,
    /// Address; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Threads of the runtime; 1 is the single-threaded one
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Bytes of each connection's read buffer (the library's own default is 131072)
    #[arg(long, default_value_t = 4096)]
    read_buffer: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.threads <= 1 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(serve(options));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads).enable_all().build()?;
    // Spawned, so that accepting does not stay on the thread that blocks here.
    runtime.block_on(async { tokio::spawn(serve(options)).await? })
}

async fn serve(options: Options) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await?;
    println!("ws://{}/", listener.local_addr()?);
    let rooms = Arc::new(Rooms::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let rooms = Arc::clone(&rooms);
                tokio::spawn(async move {
                    // A connection's end, however it came, concerns nobody else.
                    let _ = connection(stream, options, &rooms).await;
                });
            }
            // Out of descriptors or memory: others may leave.
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn connection(stream: TcpStream, options: Options, rooms: &Rooms) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(options.read_buffer);
    let socket = accept_async_with_config(stream, Some(config)).await?;
    match options.kind {
        Kind::Chat => chat::talk(socket, rooms).await,
        Kind::Echo => echo(socket).await,
    }
}

async fn echo(mut socket: WebSocketStream<TcpStream>) -> anyhow::Result<()> {
    while let Some(message) = socket.next().await.transpose()? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
