package payload_test

import (
	"fmt"

	"github.com/sealgate/sealgate/classify/payload"
)

func Example() {
	raw := []byte(`{"plate": "B-AB 123", "pos": [52.516275, 13.377704], "note": "caf\u00e9"}`)

	var d payload.Document
	if why := payload.Parse(&d, "cameras/7", raw, payload.Limits{}); why != payload.ReasonNone {
		fmt.Println("unreadable:", why)
		return
	}
	for i := range d.Fields {
		if d.Fields[i].Kind.Leaf() {
			fmt.Printf("%s = %s\n", d.AppendPath(nil, int32(i)), d.Text(int32(i)))
		}
	}
	out, err := d.Append(nil, []payload.Edit{
		{Field: d.Find("/plate"), Kind: payload.EditString, Start: 5, End: 8, Value: []byte("***")},
		{Field: d.Find("/pos/0"), Kind: payload.EditNumber, Value: []byte("52.52")},
		{Field: d.Find("/note"), Kind: payload.EditRemove},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(out))
	// Output:
	// topic:0 = cameras
	// topic:1 = 7
	// /plate = B-AB 123
	// /pos/0 = 52.516275
	// /pos/1 = 13.377704
	// /note = café
	// {"plate": "B-AB ***", "pos": [52.52, 13.377704]}
}
