select c.name, co.cname, sum(t.value) from trade t, custom c, country co where t.country = c.country and co.country = c.country and t.ym=201701 group by 1,2;
