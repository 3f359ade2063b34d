select * from trde;
