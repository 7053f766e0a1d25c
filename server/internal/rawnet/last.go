package rawnet

import "net"

func writeLast(nc net.Conn, p []byte) (n int, half bool, err error) {
	if len(p) > 0 {
		if n, err = nc.Write(p); err != nil {
			return n, false, err
		}
	}
	if c, ok := nc.(interface{ CloseWrite() error }); ok {
		return n, true, c.CloseWrite()
	}
	return n, false, nil
}
