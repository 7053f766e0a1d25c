package protocol

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMemberChangeThatBreaksARuleIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change MemberChange
		want   Code
	}{
		{"add", MemberChange{Action: AddMember, ID: 4, Addr: "d:2888"}, OK},
		{"add without an address", MemberChange{Action: AddMember, ID: 4}, BadArguments},
		{"remove", MemberChange{Action: RemoveMember, ID: 4}, OK},
		{"remove with an address", MemberChange{Action: RemoveMember, ID: 4, Addr: "d:2888"}, BadArguments},
		{"promote", MemberChange{Action: PromoteMember, ID: 4}, OK},
		{"demote", MemberChange{Action: DemoteMember, ID: 4}, OK},
		{"demote nobody", MemberChange{Action: DemoteMember}, BadArguments},
		{"replace where it was", MemberChange{Action: ReplaceMember, ID: 4}, OK},
		{"replace elsewhere", MemberChange{Action: ReplaceMember, ID: 4, Addr: "d:2888"}, OK},
		{"something else", MemberChange{Action: "paint", ID: 4}, Unimplemented},
		{"a long address", MemberChange{Action: AddMember, ID: 4, Addr: strings.Repeat("d", maxAddrBytes+1)}, Marshalling},
	} {
		got, err := DecodeMemberChange(AppendMemberChange(nil, &c.change))
		require.Equal(t, c.want, CodeOf(err), c.name)
		if err == nil {
			require.Equal(t, c.change, got, c.name)
		}
	}
}

func TestATransferWithoutAnIDLeavesTheChoice(t *testing.T) {
	id, err := DecodeTransferLeader([]byte{0x90})
	require.NoError(t, err)
	require.Zero(t, id)
}

// TestAStatusOfAnOlderServerDecodes: fields are appended and may be missing.
func TestAStatusOfAnOlderServerDecodes(t *testing.T) {
	body := appendStatus(nil, &sampleStatus)
	d := newDecoder(body[3:]) // behind the head of an array of 20
	older := appendArray(nil, 17)
	for range 17 {
		from := d.at
		d.skip()
		older = append(older, d.body[from:d.at]...)
	}
	want := sampleStatus
	want.LeaderID, want.ContactMs, want.Lag = 0, 0, 0
	m, err := DecodeMessage(append(messageHeader(Reply, byte(OpStatus), OK), older...))
	require.NoError(t, err)
	require.Equal(t, want, *m.More.Status)
}

func TestAResultIsOfWhatAMultiMayHold(t *testing.T) {
	results := appendArray(appendStr(appendArray(nil, 2), ""), 1)
	results = appendArray(appendInt(appendUint(appendArray(results, 3), uint64(OpMembers)), 0), 0)
	_, err := DecodeMessage(append(messageHeader(Reply, byte(OpMultiRead), OK), results...))
	require.ErrorIs(t, err, ErrMarshalling)
}
