mod rounds;
mod servers;
