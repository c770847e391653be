from prometheus_client import CollectorRegistry, generate_latest

from exchange.api.tally import AnswerTally


def test_tally_counts_by_operation_and_status() -> None:
    """Each pair has its own count."""
    tally = AnswerTally()
    for _ in range(3):
        tally.count("submit_order", 200)
    tally.count("submit_order", 400)
    assert [tally.of("submit_order", status) for status in (200, 400, 500)] == [3, 1, 0]


def test_tally_is_scraped_as_a_counter() -> None:
    """Prometheus sees one sample for each pair."""
    tally, registry = AnswerTally(), CollectorRegistry()
    registry.register(tally)
    tally.count("submit_order", 200)
    sample = b'exchange_http_answers_total{operation="submit_order",status="200"} 1.0'
    assert sample in generate_latest(registry)
