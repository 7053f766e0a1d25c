/** One check; it fails by throwing. */
interface Check {
    void run(Context c) throws Exception;
}
