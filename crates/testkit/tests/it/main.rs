mod rounds;
