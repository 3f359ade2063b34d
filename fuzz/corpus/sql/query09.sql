select value, ym in (select id from custom) from trade where ym not in (select id from custom);
