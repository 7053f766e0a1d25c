//go:build linux && (amd64 || arm64)

package rawnet

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Threshold is how many bytes a socket must hold to wake who waits to read them
// (SO_RCVLOWAT). Its end and its errors wake in any case, and who does not wait
// reads what there is. A threshold that is lowered to what there is wakes too, since
// Linux 4.18: before that there is none.
type Threshold struct {
	raw         syscall.RawConn
	set, ask    func(fd uintptr) // made once, since a closure for each call would be an allocation for each
	least, held int32
	refused     syscall.Errno
}

// ThresholdOf returns that of a TCP connection, or nil: there is none to be set.
func ThresholdOf(nc net.Conn) *Threshold {
	tcp, ok := nc.(interface {
		syscall.Conn
		SetNoDelay(bool) error // only TCP has it
	})
	if !ok || !loweringWakes() {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	t := &Threshold{raw: raw}
	t.set, t.ask = t.setsockopt, t.ioctl
	if !taken.Load() {
		if !t.Set(1) {
			return nil
		}
		taken.Store(true)
	}
	return t
}

// taken tells that a socket of this kernel has taken a threshold: so will the next,
// which need not be asked.
var taken atomic.Bool

// loweringWakes tells whether the kernel does that.
var loweringWakes = sync.OnceValue(func() bool {
	var name syscall.Utsname
	if syscall.Uname(&name) != nil {
		return false
	}
	var release []byte
	for _, c := range name.Release {
		release = append(release, byte(c))
	}
	return sinceLowering(string(release))
})

func sinceLowering(release string) bool {
	var major, minor int
	fmt.Sscanf(release, "%d.%d", &major, &minor)
	return major > 4 || major == 4 && minor >= 18
}

// Set has at least so many bytes wake. It is one goroutine's at a time.
func (t *Threshold) Set(least int) bool {
	t.least = int32(least)
	return t.raw.Control(t.set) == nil && t.refused == 0
}

// Held is how many bytes the socket holds, 0 if that cannot be told. It is one
// goroutine's too, which may be another.
func (t *Threshold) Held() int {
	t.held = 0
	if t.raw.Control(t.ask) != nil {
		return 0
	}
	return int(t.held)
}

func (t *Threshold) setsockopt(fd uintptr) {
	_, _, t.refused = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT,
		uintptr(unsafe.Pointer(&t.least)), unsafe.Sizeof(t.least), 0)
}

func (t *Threshold) ioctl(fd uintptr) {
	// On Linux TIOCINQ is what sockets know as SIOCINQ.
	if _, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&t.held))); errno != 0 {
		t.held = 0
	}
}
