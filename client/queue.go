package client

// queue is a ring that grows and keeps its room.
type queue[T any] struct {
	items []T // a power of two of them
	head  int
	n     int
}

func (q *queue[T]) len() int { return q.n }

func (q *queue[T]) push(v T) {
	q.grow()
	q.items[(q.head+q.n)&(len(q.items)-1)] = v
	q.n++
}

func (q *queue[T]) pushFront(v T) {
	q.grow()
	q.head = (q.head - 1) & (len(q.items) - 1)
	q.items[q.head] = v
	q.n++
}

func (q *queue[T]) front() T { return q.items[q.head] }

func (q *queue[T]) at(i int) T { return q.items[(q.head+i)&(len(q.items)-1)] }

func (q *queue[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	q.head = (q.head + 1) & (len(q.items) - 1)
	q.n--
	return v
}

func (q *queue[T]) popBack() T {
	var zero T
	i := (q.head + q.n - 1) & (len(q.items) - 1)
	v := q.items[i]
	q.items[i] = zero
	q.n--
	return v
}

func (q *queue[T]) grow() {
	if q.n < len(q.items) {
		return
	}
	bigger := make([]T, max(8, 2*len(q.items)))
	for i := range q.n {
		bigger[i] = q.at(i)
	}
	q.items, q.head = bigger, 0
}
