import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;

/** A watcher that keeps what it was told, as "NodeCreated /path"; states it keeps apart. */
final class Events implements Watcher {
    private final List<String> seen = new ArrayList<>();
    private final List<Event.KeeperState> states = new ArrayList<>();

    @Override
    public synchronized void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None) {
            states.add(event.getState());
        } else {
            seen.add(event.getType() + " " + event.getPath());
        }
        notifyAll();
    }

    synchronized List<String> seen() {
        return new ArrayList<>(seen);
    }

    synchronized Event.KeeperState state() {
        return states.isEmpty() ? Event.KeeperState.Disconnected : states.get(states.size() - 1);
    }

    synchronized boolean was(Event.KeeperState state) {
        return states.contains(state);
    }

    /** Waits for the first event. */
    synchronized String first() throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Context.WITHIN_MS);
        while (seen.isEmpty() && System.nanoTime() < end) {
            wait(100);
        }
        return seen.isEmpty() ? "nothing" : seen.get(0);
    }

    /** Waits until exactly these have been seen, in this order. */
    synchronized void await(String... want) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Context.WITHIN_MS);
        while (seen.size() < want.length && System.nanoTime() < end) {
            wait(100);
        }
        Context.equal("events", Arrays.asList(want), new ArrayList<>(seen));
    }
}
