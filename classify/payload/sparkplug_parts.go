package payload

func (r *sparkplugReader) enter() bool {
	if r.depth++; r.depth > r.lim.Depth {
		return r.fail(ReasonTooDeep)
	}
	return true
}

// metaNames are the names of a metadata's texts by number.
var metaNames = [...]string{2: "content_type", 5: "file_name", 6: "file_type", 7: "md5", 8: "description"}

func (r *sparkplugReader) metadata(self int32, whole wireField) bool {
	index, seen := uint32(0), uint32(0)
	return r.fields(whole.body, whole.end, func(at int, w wireField) bool {
		switch w.number {
		case 1, 3, 4:
			return r.expect(&seen, w, wireVarint)
		case 2, 5, 6, 7, 8:
			return r.expect(&seen, w, wireBytes) && r.string(self, &index, metaNames[w.number], at, w)
		}
		return r.fail(ReasonUnknown)
	})
}

// properties reads a property set: keys and values, each in its own order.
func (r *sparkplugReader) properties(self int32, whole wireField) bool {
	if !r.enter() {
		return false
	}
	defer func() { r.depth-- }()
	index, next := uint32(0), whole.body // next is where the next key is looked for
	keys, values := 0, 0
	ok := r.fields(whole.body, whole.end, func(_ int, w wireField) bool {
		switch w.number {
		case 1:
			keys++
			_, ok := r.text(w)
			return ok
		case 2:
			values++
			if w.kind != wireBytes {
				return r.fail(ReasonMalformed)
			}
			var key wireField
			for key.number != 1 {
				if next >= whole.end {
					return r.fail(ReasonMalformed)
				}
				var ok bool
				if key, ok = readWire(r.raw, next, whole.end); !ok {
					return r.fail(ReasonMalformed)
				}
				next = key.end
			}
			if _, ok := r.text(key); !ok {
				return false
			}
			return r.property(self, &index, key.bytes(), w)
		}
		return r.fail(ReasonUnknown)
	})
	return ok && (keys == values || r.fail(ReasonMalformed))
}

// property reads one property value, which is null where it has none.
func (r *sparkplugReader) property(parent int32, index *uint32, key Span, whole wireField) bool {
	self, ok := r.member(parent, index, key, 0)
	if !ok {
		return false
	}
	datatype, at, value, ok := r.oneof(whole, func(number uint64) int {
		switch {
		case number == 1:
			return isDatatype
		case number == 2:
			return isIgnored
		case number >= 3 && number <= 10:
			return isValue
		}
		return isUnknown
	})
	if !ok {
		return false
	}
	f := &r.d.Fields[self]
	f.Raw = Span{uint32(at), uint32(value.end)}
	switch value.number {
	case 0:
		r.none(f, whole)
	case 9:
		f.Kind = KindObject
		return value.kind == wireBytes && r.properties(self, value) || r.fail(ReasonMalformed)
	case 10:
		f.Kind = KindArray
		return value.kind == wireBytes && r.propertyList(self, value) || r.fail(ReasonMalformed)
	default:
		return r.value(self, value, 3, datatype)
	}
	return true
}

// none makes f null: there is no value.
func (r *sparkplugReader) none(f *Field, whole wireField) {
	f.Kind, f.Raw = KindNull, Span{uint32(whole.end), uint32(whole.end)}
	r.d.putText(f, append(r.d.arena, "null"...))
}

// What a field of a message with a value is.
const (
	isUnknown = iota
	isIgnored
	isDatatype
	isName
	isValue
)

// oneof finds the value in a message; its number is 0 where there is none.
func (r *sparkplugReader) oneof(whole wireField, what func(uint64) int) (datatype uint32, at int, value wireField, ok bool) {
	seen := uint32(0)
	value.end = whole.end
	at = whole.end
	ok = r.fields(whole.body, whole.end, func(i int, w wireField) bool {
		kind := what(w.number)
		switch kind {
		case isUnknown:
			return r.fail(ReasonUnknown)
		case isName:
			return r.expect(&seen, w, wireBytes)
		case isDatatype, isIgnored:
			if kind == isDatatype {
				datatype = uint32(w.value)
			}
			return r.expect(&seen, w, wireVarint)
		}
		if value.number != 0 {
			return r.fail(ReasonDuplicate)
		}
		at, value = i, w
		return true
	})
	return datatype, at, value, ok
}

func (r *sparkplugReader) propertyList(self int32, whole wireField) bool {
	index, hash := uint32(0), stepHash(r.d.Fields[self].PathHash, indexHash)
	return r.fields(whole.body, whole.end, func(at int, w wireField) bool {
		if w.number != 1 || w.kind != wireBytes {
			return r.fail(ReasonUnknown)
		}
		set, ok := r.element(self, &index, hash, KindObject, at, w)
		return ok && r.properties(set, w)
	})
}

// element adds a container to an array.
func (r *sparkplugReader) element(parent int32, index *uint32, hash uint64, kind Kind, at int, w wireField) (int32, bool) {
	self := int32(len(r.d.Fields))
	if int(self) >= r.lim.Fields {
		return 0, r.fail(ReasonTooMany)
	}
	f := r.d.add()
	f.Parent, f.Index, f.PathHash, f.Kind, f.Raw = parent, *index, hash, kind, Span{uint32(at), uint32(w.end)}
	*index++
	return self, true
}

// A column is a column of a table: its name and, in a DataSet, its type.
type column struct {
	name     Span
	flags    FieldFlags
	datatype uint32
}

// dataSet reads a table into an array of rows.
func (r *sparkplugReader) dataSet(self int32, whole wireField) bool {
	d, seen, types := r.d, uint32(0), 0
	base := len(d.columns)
	defer func() { d.columns = d.columns[:base] }()
	ok := r.fields(whole.body, whole.end, func(_ int, w wireField) bool {
		if w.number == 2 {
			name, ok := r.text(w)
			d.columns = append(d.columns, column{name: name})
			return ok
		}
		return true
	})
	columns := d.columns[base:]
	ok = ok && r.fields(whole.body, whole.end, func(_ int, w wireField) bool {
		switch w.number {
		case 1:
			return r.expect(&seen, w, wireVarint)
		case 2, 4:
			return true
		case 3:
			if w.kind == wireVarint && types < len(columns) {
				columns[types].datatype = uint32(w.value)
			}
			types++
			return w.kind == wireVarint || w.kind == wireBytes || r.fail(ReasonMalformed)
		}
		return r.fail(ReasonUnknown)
	})
	index, hash := uint32(0), stepHash(d.Fields[self].PathHash, indexHash)
	return ok && r.fields(whole.body, whole.end, func(at int, w wireField) bool {
		if w.number != 4 {
			return true
		}
		if w.kind != wireBytes {
			return r.fail(ReasonMalformed)
		}
		row, ok := r.element(self, &index, hash, KindObject, at, w)
		return ok && r.row(row, w, columns)
	})
}

func (r *sparkplugReader) row(self int32, whole wireField, columns []column) bool {
	index := uint32(0)
	return r.fields(whole.body, whole.end, func(_ int, cell wireField) bool {
		switch {
		case cell.number != 1:
			return r.fail(ReasonUnknown)
		case cell.kind != wireBytes || int(index) >= len(columns):
			return r.fail(ReasonMalformed)
		}
		c := columns[index]
		field, ok := r.member(self, &index, c.name, 0)
		if !ok {
			return false
		}
		_, at, value, ok := r.oneof(cell, func(number uint64) int {
			if number <= plainValues {
				return isValue
			}
			return isUnknown
		})
		if !ok {
			return false
		}
		f := &r.d.Fields[field]
		if value.number == 0 {
			r.none(f, cell)
			return true
		}
		f.Raw = Span{uint32(at), uint32(value.end)}
		return r.value(field, value, 1, c.datatype)
	})
}

// template reads a template's metrics and parameters into an object.
func (r *sparkplugReader) template(self int32, whole wireField) bool {
	if !r.enter() {
		return false
	}
	defer func() { r.depth-- }()
	index, seen := uint32(0), uint32(0)
	return r.fields(whole.body, whole.end, func(at int, w wireField) bool {
		switch w.number {
		case 1:
			return r.expect(&seen, w, wireBytes) && r.string(self, &index, "version", at, w)
		case 2:
			return w.kind == wireBytes && r.metric(self, &index, at, w, true) || r.fail(ReasonMalformed)
		case 3:
			return w.kind == wireBytes && r.parameter(self, &index, w) || r.fail(ReasonMalformed)
		case 4:
			return r.expect(&seen, w, wireBytes) && r.string(self, &index, "template_ref", at, w)
		case 5:
			return r.expect(&seen, w, wireVarint)
		}
		return r.fail(ReasonUnknown)
	})
}

func (r *sparkplugReader) parameter(parent int32, index *uint32, whole wireField) bool {
	datatype, at, value, ok := r.oneof(whole, func(number uint64) int {
		switch {
		case number == 1:
			return isName
		case number == 2:
			return isDatatype
		case number >= 3 && number < 3+plainValues:
			return isValue
		}
		return isUnknown
	})
	if !ok {
		return false
	}
	var name Span
	if !r.fields(whole.body, whole.end, func(_ int, w wireField) bool {
		if w.number != 1 {
			return true
		}
		name, ok = r.text(w)
		return ok
	}) {
		return false
	}
	self, ok := r.member(parent, index, name, 0)
	if !ok {
		return false
	}
	f := &r.d.Fields[self]
	if value.number == 0 {
		r.none(f, whole)
		return true
	}
	f.Raw = Span{uint32(at), uint32(value.end)}
	return r.value(self, value, 3, datatype)
}
