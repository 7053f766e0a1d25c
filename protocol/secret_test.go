package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASecretShowsInNoWayOfPrinting(t *testing.T) {
	h := Hello{Password: Secret("hunter2"), Credentials: []Credential{{Scheme: "digest", Data: Secret("ann:hunter2")}}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+"\n", h.Password)
	}
	fmt.Fprintln(&out, h.Password.String())
	text, err := json.Marshal(h)
	require.NoError(t, err)
	out.Write(text)
	slog.New(slog.NewTextHandler(&out, nil)).Info("hello", "hello", h, "password", h.Password)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("hello", "hello", h, "password", h.Password)

	for _, leak := range []string{"hunter2", "68756e74657232", "68756E74657232", "104 117 110", "aHVudGVyMg"} {
		require.NotContains(t, out.String(), leak)
	}
	require.Contains(t, out.String(), redacted)
}
