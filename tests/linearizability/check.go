// Reads a history of one table, JSON on standard input, and says whether it is linearizable: whether each operation can have happened at one
// moment between its call and its return, so that every reader saw exactly the rows that had been appended by then.
//
//	[{"client": 0, "call": 12, "return": 34, "op": "append", "rows": [7], "outcome": "ok"},
//	 {"client": 1, "call": 15, "return": 40, "op": "read", "rows": [3, 7]}, …]
//
// outcome: "ok"; "failed": it must not have happened; "unknown": it may have happened, at any moment after its call, or never. Times are of one
// clock. A row that is read twice or that nobody appended is never linearizable.
// Exit: 0 linearizable, 1 not, 2 no history, 3 not decided within the time limit.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

type event struct {
	Client  int    `json:"client"`
	Call    int64  `json:"call"`
	Return  int64  `json:"return"`
	Op      string `json:"op"`
	Rows    []int  `json:"rows"`
	Outcome string `json:"outcome"`
}

type input struct {
	append bool
	rows   []int // of an append
}

// The state is the set of rows, as a string with a bit for each.
func with(state string, rows []int, at map[int]int) (string, bool) {
	b := []byte(state)
	for _, r := range rows {
		i, known := at[r]
		if !known || b[i/8]&(1<<(i%8)) != 0 {
			return "", false
		}
		b[i/8] |= 1 << (i % 8)
	}
	return string(b), true
}

func model(at map[int]int) porcupine.Model {
	empty := string(make([]byte, (len(at)+7)/8))
	return porcupine.Model{
		Init: func() interface{} { return empty },
		Step: func(state, in, out interface{}) (bool, interface{}) {
			op := in.(input)
			if op.append {
				next, ok := with(state.(string), op.rows, at)
				return ok, next
			}
			return out.(string) == state.(string), state
		},
		DescribeOperation: func(in, out interface{}) string {
			if op := in.(input); op.append {
				return fmt.Sprintf("append %v", op.rows)
			}
			return fmt.Sprintf("read %x", out)
		},
	}
}

func main() {
	var events []event
	if err := json.NewDecoder(os.Stdin).Decode(&events); err != nil || len(events) == 0 {
		fmt.Fprintln(os.Stderr, "no history:", err)
		os.Exit(2)
	}
	at := map[int]int{}
	for _, e := range events {
		if e.Op == "append" && e.Outcome != "failed" {
			for _, r := range e.Rows {
				if _, twice := at[r]; twice {
					fmt.Fprintln(os.Stderr, "row appended twice by the history itself:", r)
					os.Exit(2)
				}
				at[r] = len(at)
			}
		}
	}
	empty := string(make([]byte, (len(at)+7)/8))
	var ops []porcupine.Operation
	for _, e := range events {
		o := porcupine.Operation{ClientId: e.Client, Call: e.Call, Return: e.Return}
		switch {
		case e.Op == "append" && e.Outcome == "failed":
			continue // nothing may come of it: a reader that saw it is caught below
		case e.Op == "append":
			if e.Outcome == "unknown" {
				o.Return = math.MaxInt64 // where its moment comes after every reader, it never happened
			}
			o.Input = input{true, e.Rows}
		default:
			seen, ok := with(empty, e.Rows, at)
			if !ok {
				sort.Ints(e.Rows)
				fmt.Println("not linearizable: a reader saw a row twice, or one that was never appended:", e.Rows)
				os.Exit(1)
			}
			o.Input, o.Output = input{}, seen
		}
		ops = append(ops, o)
	}
	result, info := porcupine.CheckOperationsVerbose(model(at), ops, 120*time.Second)
	if len(os.Args) > 1 && result != porcupine.Ok {
		if err := porcupine.VisualizePath(model(at), info, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	switch result {
	case porcupine.Ok:
		fmt.Printf("linearizable: %d operations, %d rows\n", len(ops), len(at))
	case porcupine.Illegal:
		fmt.Println("not linearizable")
		os.Exit(1)
	default:
		fmt.Println("not decided in time")
		os.Exit(3)
	}
}
