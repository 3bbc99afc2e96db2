mod data;
mod rounds;
