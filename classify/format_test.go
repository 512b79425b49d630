package classify

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sealgate/sealgate/classify/payload"
)

// What the formats other than JSON carry is found at its path.
func TestFormats(t *testing.T) {
	tests := []struct {
		name, raw, path string
		class           ClassID
	}{
		{"cbor", "\xa2eemailpmara@example.organ\x01", "/email", ClassContactEmail},
		{"cbor bytes", "\xa2eemailPmara@example.organ\x01", "/email", ClassContactEmail},
		{"cbor float", "\xa2clat\xfb\x40\x4a\x42\x83\x68\xf0\x84\x61clon\xfb\x40\x2a\xc1\xba\x5e\x35\x3f\x7d", "/lat", ClassLocationPrecise},
		{"cbor picture", "\xa1asD\xff\xd8\xff\x00", "/s", ClassMediaImage},
		{"senml", "\x82\xa2\x00clat\x02\xfb\x40\x4a\x42\x83\x68\xf0\x84\x61\xa2\x00clon\x02\xfb\x40\x2a\xc1\xba\x5e\x35\x3f\x7d", "/0/2", ClassLocationPrecise},
		{"form", "id=7&email=mara%40example.org", "/email", ClassContactEmail},
		{"mp4", "\x00\x00\x00\x0cftypisom", "", ClassMediaVideo},
		{"wav", "RIFF\x04\x00\x00\x00WAVE", "", ClassMediaAudio},
		{"webp", "RIFF\x04\x00\x00\x00WEBP", "", ClassMediaImage},
		{"numpy", "\x93NUMPY\x01\x00", "", ClassAIModel},
		{"gzip", gzipped(`{"email":"mara@example.org"}`), "/email", ClassContactEmail},
		{"zstd", zstdded(`{"email":"mara@example.org"}`), "/email", ClassContactEmail},
	}
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		var d payload.Document
		if why := payload.Parse(&d, "site/1", []byte(tt.raw), payload.Limits{}); why != payload.ReasonNone {
			t.Errorf("%s: %s", tt.name, why)
			continue
		}
		var s Scratch
		found := false
		for _, f := range c.Find(&s, NewState(), &d, Context{}).Findings {
			found = found || string(d.AppendPath(nil, f.Field)) == tt.path && f.Class == tt.class
		}
		if !found {
			t.Errorf("%s: no %s at %s", tt.name, tt.class, tt.path)
		}
	}
}

func gzipped(raw string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, raw)
	w.Close()
	return b.String()
}

func zstdded(raw string) string {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(raw), nil))
}
