insert into custom (name) values ('x');
