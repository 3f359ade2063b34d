// A program of the Go driver manager (github.com/apache/arrow-adbc/go/adbc/drivermgr) against the driver: statements, parameters, ingest,
// metadata, transactions, errors (this driver manager has no partitions). Usage: check <libfrazil.so> <lake>. It ends with 0 and "ok" where all is as it should be.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/drivermgr"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

var ctx = context.Background()

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(ok bool, what string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(what, args...))
	}
}

func statement(c adbc.Connection, sql string) adbc.Statement {
	s, err := c.NewStatement()
	must(err)
	if sql != "" {
		must(s.SetSqlQuery(sql))
	}
	return s
}

func update(c adbc.Connection, sql string) int64 {
	s := statement(c, sql)
	defer s.Close()
	n, err := s.ExecuteUpdate(ctx)
	must(err)
	return n
}

// The one int64 that a query gives.
func number(c adbc.Connection, sql string) int64 {
	s := statement(c, sql)
	defer s.Close()
	r, _, err := s.ExecuteQuery(ctx)
	must(err)
	return sum(r)
}

func sum(r array.RecordReader) int64 {
	defer r.Release()
	var total int64
	for r.Next() {
		col := r.Record().Column(0).(*array.Int64)
		for i := 0; i < col.Len(); i++ {
			total += col.Value(i)
		}
	}
	must(r.Err())
	return total
}

func record(values ...int64) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
	return b.NewRecord()
}

func ingest(c adbc.Connection, table, mode string, values ...int64) int64 {
	s := statement(c, "")
	defer s.Close()
	must(s.SetOption(adbc.OptionKeyIngestTargetTable, table))
	must(s.SetOption(adbc.OptionKeyIngestMode, mode))
	rec := record(values...)
	defer rec.Release()
	must(s.Bind(ctx, rec))
	n, err := s.ExecuteUpdate(ctx)
	must(err)
	return n
}

func open(db adbc.Database) adbc.Connection {
	c, err := db.Open(ctx)
	must(err)
	return c
}

func main() {
	var drv drivermgr.Driver
	db, err := drv.NewDatabase(map[string]string{"driver": os.Args[1], "uri": os.Args[2]})
	must(err)
	c := open(db)
	check(number(c, "SELECT CAST(42 AS bigint)") == 42, "a constant")

	check(ingest(c, "t", adbc.OptionValueIngestModeCreate, 1, 2, 3) == 3, "rows of an ingest")
	check(ingest(c, "t", adbc.OptionValueIngestModeAppend, 4) == 1, "rows of an append")
	check(number(c, "SELECT sum(a) FROM t") == 10, "sum after ingest")

	s := statement(c, "INSERT INTO t VALUES (?)")
	must(s.Prepare(ctx))
	params := record(10, 20)
	must(s.Bind(ctx, params))
	n, err := s.ExecuteUpdate(ctx)
	must(err)
	check(n == 2, "rows of an insert: %d", n)
	params.Release()
	must(s.Close())
	check(number(c, "SELECT sum(a) FROM t") == 40, "sum after parameters")

	schema, err := c.GetTableSchema(ctx, nil, nil, "t")
	must(err)
	check(schema.NumFields() == 1 && schema.Field(0).Name == "a" && schema.Field(0).Type.ID() == arrow.INT64, "schema: %s", schema)
	objects, err := c.GetObjects(ctx, adbc.ObjectDepthAll, nil, nil, nil, nil, nil)
	must(err)
	check(objects.Next() && objects.Record().NumRows() == 1, "objects")
	objects.Release()
	info, err := c.GetInfo(ctx, []adbc.InfoCode{adbc.InfoVendorName})
	must(err)
	check(info.Next() && info.Record().NumRows() == 1, "info")
	info.Release()

	s = statement(c, "SELECT * FROM nowhere")
	_, _, err = s.ExecuteQuery(ctx)
	var e adbc.Error
	check(errors.As(err, &e) && e.Code == adbc.StatusNotFound && string(e.SqlState[:]) == "42P01", "error: %v", err)
	must(s.Close())

	other := open(db)
	must(other.(adbc.PostInitOptions).SetOption(adbc.OptionKeyAutoCommit, adbc.OptionValueDisabled))
	update(other, "INSERT INTO t VALUES (100)")
	check(number(other, "SELECT sum(a) FROM t") == 140 && number(c, "SELECT sum(a) FROM t") == 40, "a transaction before its commit")
	must(other.Rollback(ctx))
	update(other, "INSERT INTO t VALUES (1000)")
	must(other.Commit(ctx))
	check(number(c, "SELECT sum(a) FROM t") == 1040, "a transaction after its commit")
	must(other.Close())

	must(c.Close())
	must(db.Close())
	fmt.Println("ok")
}
