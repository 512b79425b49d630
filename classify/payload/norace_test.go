//go:build !race

package payload

const raced = false
