select 1 union all select 2.5 union select null;
