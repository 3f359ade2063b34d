select $1 + value, $2 from trade where ym = $3;
