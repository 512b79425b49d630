package main

import "fmt"

// firstNumber makes every number as long.
const firstNumber = 1_000_000

// size is about that of every message, whatever it tells.
const size = 500

// A message is what one kind of device tells.
type message struct {
	name string
	body string // behind the number
}

var messages = []message{
	{"harmless", `,"engine":{"rpm":1840,"temperature":88.5,"load":0.42,"oil_pressure":3.1},"fuel":61.5,"battery":12.6,"doors":[0,0,0,1]`},
	{"personal", `,"driver":{"email":"anna.schmidt@example.org"},"position":{"latitude":48.137154,"longitude":11.576124},"fuel":61.5`},
	{"secret", `,"driver":{"email":"anna.schmidt@example.org"},"modem":{"apn":"iot.example","password":"tR7-vq-Lw29z"},"fuel":61.5`},
}

func (m message) payload(n int) []byte {
	b := fmt.Appendf(nil, `{"device":"tracker-17","n":%06d%s`, firstNumber+n, m.body)
	for i := 0; len(b) < size-len(`,"load_00":0.42}`); i++ {
		b = fmt.Appendf(b, `,"load_%02d":0.42`, i)
	}
	return append(b, '}')
}
