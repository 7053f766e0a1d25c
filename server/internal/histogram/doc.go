// Package histogram counts observations in fixed buckets without locks, for
// the components whose Stats a collector reads. It knows no metrics library.
// A Histogram may be used from any goroutine.
package histogram
