// Package cow holds an ordered map whose copies cost nothing: a copy of the
// Map value is a frozen handle, and writes to the original copy each page that
// the handle can see before they change it. It knows nothing of znodes,
// sessions or locks, and shares no state between maps.
// One goroutine may write a Map while any number read handles frozen before
// the current generation; reads of the live Map need the writer to stand still.
package cow
