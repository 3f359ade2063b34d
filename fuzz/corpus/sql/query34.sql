select count(*), count(value) from trade t left join country c on t.country = c.country and c.cname = 'x' where t.ym = 201701;
