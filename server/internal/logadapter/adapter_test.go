package logadapter

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

func capture(level slog.Level, demoted ...string) (*bytes.Buffer, *Adapter) {
	var out bytes.Buffer
	handler := slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})
	return &out, New(slog.New(handler), "raft", demoted...)
}

func TestLevelsAndPairs(t *testing.T) {
	out, a := capture(slog.LevelDebug, "as always")
	a.Info("inner life", "index", 7)
	a.Warn("degraded", "servers", hclog.Fmt("%d of %d", 1, 3))
	a.Warn("as always")
	a.With("peer", "2").Error("lost")
	a.StandardLogger(nil).Print("a line")
	require.Equal(t, `level=DEBUG msg="inner life" component=raft index=7
level=WARN msg=degraded component=raft servers="1 of 3"
level=DEBUG msg="as always" component=raft
level=ERROR msg=lost component=raft peer=2
level=DEBUG msg="a line" component=raft
`, out.String())
}

func TestWhatIsNotWantedIsNotWritten(t *testing.T) {
	out, a := capture(slog.LevelWarn)
	a.Info("inner life")
	require.Empty(t, out.String())
	require.False(t, a.IsDebug())
	require.True(t, a.IsWarn())
	require.Equal(t, hclog.Warn, a.GetLevel())
}

func TestWithDoesNotShareItsPairs(t *testing.T) {
	out, a := capture(slog.LevelDebug)
	base := a.With("a", 1)
	one, two := base.With("b", 2), base.With("b", 3)
	one.Info("one")
	two.Info("two")
	require.Equal(t, "level=DEBUG msg=one component=raft a=1 b=2\nlevel=DEBUG msg=two component=raft a=1 b=3\n", out.String())
}
