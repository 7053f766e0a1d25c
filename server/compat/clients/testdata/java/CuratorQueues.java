import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.BlockingQueueConsumer;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.QueueSharder;
import org.apache.curator.framework.recipes.queue.QueueSharderPolicies;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;

/** Curator's queues. */
final class CuratorQueues {
    static void add(Map<String, Check> m) {
        m.put("curator DistributedQueue", CuratorQueues::plain);
        m.put("curator DistributedQueue with lock safety", CuratorQueues::safe);
        m.put("curator DistributedPriorityQueue", CuratorQueues::priority);
        m.put("curator DistributedDelayQueue", CuratorQueues::delay);
        m.put("curator DistributedIdQueue", CuratorQueues::ids);
        m.put("curator SimpleDistributedQueue", CuratorQueues::simple);
        m.put("curator QueueSharder and BlockingQueueConsumer", CuratorQueues::sharded);
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<String>() {
        @Override
        public byte[] serialize(String s) {
            return s.getBytes();
        }

        @Override
        public String deserialize(byte[] b) {
            return new String(b);
        }
    };

    /** Hands what it consumes to a queue of this process. */
    private static final class Consumer implements QueueConsumer<String> {
        final BlockingQueue<String> got = new LinkedBlockingQueue<>();

        @Override
        public void consumeMessage(String message) {
            got.add(message);
        }

        @Override
        public void stateChanged(CuratorFramework client, ConnectionState state) {
        }

        List<String> take(int n) throws Exception {
            List<String> out = new ArrayList<>();
            for (int i = 0; i < n; i++) {
                out.add(got.poll(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
            }
            return out;
        }
    }

    private static QueueBuilder<String> builder(Context c, Consumer consumer, String path) throws Exception {
        return QueueBuilder.builder(c.curator(), consumer, TEXT, path);
    }

    private static List<String> numbered(int n) {
        List<String> out = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            out.add(String.format("m%02d", i));
        }
        return out;
    }

    private static void plain(Context c) throws Exception {
        Consumer consumer = new Consumer();
        DistributedQueue<String> producer = c.keep(builder(c, null, "/q").buildQueue());
        DistributedQueue<String> queue = c.keep(builder(c, consumer, "/q").buildQueue());
        producer.start();
        queue.start();
        for (String s : numbered(30)) {
            producer.put(s);
        }
        Context.equal("consumed", numbered(30), Operations.sorted(consumer.take(30)));
    }

    private static void safe(Context c) throws Exception {
        Consumer[] consumers = {new Consumer(), new Consumer()};
        for (Consumer consumer : consumers) {
            DistributedQueue<String> q = c.keep(builder(c, consumer, "/lq").lockPath("/lq-locks").buildQueue());
            q.start();
        }
        DistributedQueue<String> producer = c.keep(builder(c, null, "/lq").lockPath("/lq-locks").buildQueue());
        producer.start();
        for (String s : numbered(30)) {
            producer.put(s);
        }
        Context.eventually("all consumed", () -> consumers[0].got.size() + consumers[1].got.size() >= 30);
        List<String> all = new ArrayList<>(consumers[0].got);
        all.addAll(consumers[1].got);
        Context.equal("each once", numbered(30), Operations.sorted(all));
    }

    private static void priority(Context c) throws Exception {
        Consumer consumer = new Consumer();
        DistributedPriorityQueue<String> producer = c.keep(builder(c, null, "/pq").buildPriorityQueue(1));
        producer.start();
        producer.put("late", 50);
        producer.put("early", -5);
        producer.put("middle", 7);
        producer.flushPuts(Context.WITHIN_MS, TimeUnit.MILLISECONDS);
        DistributedPriorityQueue<String> queue = c.keep(builder(c, consumer, "/pq").buildPriorityQueue(1));
        queue.start();
        Context.equal("in order", Arrays.asList("early", "middle", "late"), consumer.take(3));
    }

    private static void delay(Context c) throws Exception {
        Consumer consumer = new Consumer();
        DistributedDelayQueue<String> queue = c.keep(builder(c, consumer, "/delay").buildDelayQueue());
        queue.start();
        long now = System.currentTimeMillis();
        queue.put("second", now + 900);
        queue.put("first", now + 300);
        queue.put("never", now + 600_000);
        Context.equal("in order", Arrays.asList("first", "second"), consumer.take(2));
        Context.isTrue("not too soon", System.currentTimeMillis() - now >= 900);
        Context.equal("more", 0, consumer.got.size());
    }

    private static void ids(Context c) throws Exception {
        DistributedIdQueue<String> producer = c.keep(builder(c, null, "/idq").buildIdQueue());
        producer.start();
        producer.put("a", "id-a");
        producer.put("b", "id-b");
        producer.flushPuts(Context.WITHIN_MS, TimeUnit.MILLISECONDS);
        Context.equal("removed", 1, producer.remove("id-a"));
        Consumer consumer = new Consumer();
        DistributedIdQueue<String> queue = c.keep(builder(c, consumer, "/idq").buildIdQueue());
        queue.start();
        Context.equal("left", Arrays.asList("b"), consumer.take(1));
    }

    private static void sharded(Context c) throws Exception {
        BlockingQueueConsumer<String> consumer = new BlockingQueueConsumer<>((client, state) -> { });
        QueueSharder<String, DistributedQueue<String>> sharder = c.keep(new QueueSharder<>(c.curator(),
                (client, path) -> QueueBuilder.builder(client, consumer, TEXT, path).buildQueue(), "/sharded", "/sharded-leader",
                QueueSharderPolicies.builder().newQueueThreshold(2).thresholdCheckMs(50).maxQueues(3).build()));
        sharder.start();
        for (String s : numbered(30)) {
            sharder.getQueue().put(s);
        }
        List<String> got = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            got.add(consumer.take(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        }
        Context.equal("consumed", numbered(30), Operations.sorted(got));
    }

    private static void simple(Context c) throws Exception {
        SimpleDistributedQueue a = new SimpleDistributedQueue(c.curator(), "/simple"), b = new SimpleDistributedQueue(c.curator(), "/simple");
        Future<byte[]> taken = c.inBackground(b::take);
        a.offer("1".getBytes());
        Context.equal("take", "1".getBytes(), Context.get(taken));
        a.offer("2".getBytes());
        Context.equal("peek", "2".getBytes(), a.peek());
        Context.equal("poll", "2".getBytes(), a.poll(Context.WITHIN_MS, TimeUnit.MILLISECONDS));
        Context.equal("empty", null, a.poll(100, TimeUnit.MILLISECONDS));
    }
}
