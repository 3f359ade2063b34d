insert into custom values (1, 'x', 3), (2, null, '4');
