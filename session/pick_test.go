package session

import "math/rand/v2"

// picker returns a source of choices below n that a seed repeats.
func picker(seed uint64) func(n int) int {
	return rand.New(rand.NewPCG(seed, 2)).IntN
}

// picks returns choices taken from data, and 0 after its end.
func picks(data []byte) (pick func(n int) int, more func() bool) {
	pick = func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
	return pick, func() bool { return len(data) > 0 }
}

func hashOf(n uint64) [32]byte {
	return [32]byte{1, byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}
