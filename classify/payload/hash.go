package payload

import (
	"hash/maphash"
	"math/bits"
	"strconv"
	"strings"
)

const topicPrefix = "topic:"

// hashSeed keys every hash of this process, so that nobody outside can choose
// keys that collide.
var hashSeed = maphash.MakeSeed()

// Hashes of the elements that are no keys.
var (
	rootHash  = maphash.String(hashSeed, "root")
	indexHash = maphash.String(hashSeed, "index")
	levelHash = maphash.String(hashSeed, "level")
)

func hashKey(key []byte) uint64 { return maphash.Bytes(hashSeed, key) }

// stepHash is the hash of the path parent/element.
func stepHash(parent, element uint64) uint64 {
	hi, lo := bits.Mul64(parent^0x9E3779B97F4A7C15, element|1)
	return hi ^ lo ^ element
}

// keyStep is the element that key adds to a path. A key of digits only counts
// as an index, because a JSON Pointer does not tell the two apart; that suits
// objects keyed by numbers, whose members mean the same.
func keyStep(key []byte, hash uint64) uint64 {
	if len(key) > 0 && key[0] <= '9' && isIndex(key) {
		return indexHash
	}
	return hash
}

func isIndex(key []byte) bool {
	if len(key) == 1 && key[0] == '*' {
		return true
	}
	for _, c := range key {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(key) > 0
}

func topicLevelHash(level uint32) uint64 { return stepHash(levelHash, indexHash+uint64(level)) }

// HashPath returns the PathHash of the fields that path names: a JSON Pointer
// as from [Document.AppendPath], or "topic:N". An element of digits only, or
// "*", stands for every index of an array, every line of JSON lines, and every
// key of digits only. Hashes are keyed: they hold within one process.
func HashPath(path string) uint64 {
	if level, ok := strings.CutPrefix(path, topicPrefix); ok {
		if n, err := strconv.ParseUint(level, 10, 32); err == nil {
			return topicLevelHash(uint32(n))
		}
	}
	h := rootHash
	if path == "" {
		return h
	}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return maphash.String(hashSeed, path) // no pointer: the path of no field
	}
	for element := range strings.SplitSeq(rest, "/") {
		key := []byte(unescapePointer.Replace(element))
		h = stepHash(h, keyStep(key, hashKey(key)))
	}
	return h
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
