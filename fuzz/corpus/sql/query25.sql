select foo(1);
