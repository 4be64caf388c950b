from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import chi2
from torch.distributions import MultivariateNormal

from pixelcluster.model.convolutional import ConvolutionalGenerator
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.graph import PixelGrid, SparseGraph
from pixelcluster.model.prior import LabelPrior, log_prior
from pixelcluster.sampling import gibbs
from pixelcluster.sampling.noise import Streams

D = 2


def all_maps(n_clusters: int, height: int, width: int) -> torch.Tensor:
    """Every label map, (K^(h w), h, w)."""
    maps = itertools.product(range(n_clusters), repeat=height * width)
    return torch.tensor(list(maps)).view(-1, height, width)


def brute_force_log_prior(label_map, pi, rows, alpha, beta, guide, contrast, mask) -> float:
    """log p(y), cell by cell and pair by pair; the Dirichlet as Polya's urn."""
    height, width = label_map.shape
    cells = [(i, j) for i in range(height) for j in range(width) if mask[i, j]]
    total, seen = 0.0, [0] * len(pi)
    for i, j in cells:
        k = int(label_map[i, j])
        if alpha is None:
            total += math.log(pi[k])
        else:
            total += math.log((alpha * len(cells) * pi[k] + seen[k]) / (alpha * len(cells) + sum(seen)))
        seen[k] += 1
        if rows is not None:
            total += math.log(rows[i][k] / pi[k])
    for (i, j), (a, b) in itertools.combinations(cells, 2):
        if max(abs(i - a), abs(j - b)) == 1 and label_map[i, j] == label_map[a, b]:
            weight = 1 / math.hypot(i - a, j - b)
            if contrast is not None:
                difference = (guide[:, i, j] - guide[:, a, b]).square().sum()
                weight *= math.exp(-float(difference) / (2 * contrast**2))
            total += beta * weight
    return total


def assert_law(samples: torch.Tensor, log_joint: torch.Tensor, n_clusters: int) -> None:
    """Chi-square of sampled maps (n, h, w) against the law of all maps; rare maps share a bin."""
    powers = n_clusters ** torch.arange(samples[0].numel() - 1, -1, -1)
    counts = torch.bincount((samples.flatten(1) * powers).sum(1), minlength=len(log_joint)).double()
    expected = log_joint.double().softmax(0) * len(samples)
    frequent = expected >= 5
    observed = torch.cat([counts[frequent], counts[~frequent].sum()[None]])
    wanted = torch.cat([expected[frequent], expected[~frequent].sum()[None]])
    if wanted[-1] < 5:  # too few for a bin of their own
        observed, wanted = (
            torch.cat([observed[:-2], observed[-2:].sum()[None]]),
            torch.cat([wanted[:-2], wanted[-2:].sum()[None]]),
        )
    assert len(wanted) > 4, "the law is concentrated on too few maps to test anything"
    statistic = float(((observed - wanted).square() / wanted).sum())
    assert chi2.sf(statistic, len(wanted) - 1) > 1e-4


PRIORS = {
    "flat": {},
    "proportions": {"proportions": True},
    "rows": {"proportions": True, "rows": True},
    "dirichlet": {"proportions": True, "alpha": 0.3},
    "potts": {"beta": 0.6},
    "contrast": {"beta": 1.0, "contrast": 0.5},
    "everything": {"proportions": True, "rows": True, "alpha": 0.5, "beta": 0.5, "contrast": 0.8},
    "masked": {"proportions": True, "alpha": 0.5, "beta": 0.5, "masked": True},
}


@pytest.mark.parametrize("form", ["heads", "convolutional"])
@pytest.mark.parametrize(
    ("name", "size"), [(name, (2, 2)) for name in PRIORS] + [("everything", (3, 3)), ("masked", (3, 3))]
)
def test_samples_have_the_enumerated_law(name: str, form: str, size: tuple[int, int]) -> None:
    options = PRIORS[name]
    n_clusters = 3 if size == (2, 2) else 2
    height = size[0]
    random = torch.Generator().manual_seed(4)
    make = ClusteredGenerator if form == "heads" else ConvolutionalGenerator
    more = {} if form == "heads" else {"n_layers": 1}
    generator = make(n_clusters, D, latent_channels=2, latent_stride=2, width=3, sigma=1.5, seed=1, **more)
    x = torch.randn(1, D, *size, generator=random)
    z = torch.randn(1, *generator.trunk.latent_shape(*size), generator=random)
    guide = torch.rand(1, 3, *size, generator=random)
    pi = torch.tensor([0.5, 0.2, 0.3][:n_clusters])
    pi = pi / pi.sum() if options.get("proportions") else torch.full((n_clusters,), 1 / n_clusters)
    rows = torch.rand(height, n_clusters, generator=random) + 0.2 if options.get("rows") else None
    rows = None if rows is None else rows / rows.sum(1, keepdim=True)
    contrast = options.get("contrast")
    mask = torch.ones(1, *size, dtype=torch.bool)
    if options.get("masked"):
        mask[0, 0, 1] = False
    prior = LabelPrior(
        pi, rows, options.get("alpha"), potts_weight=options.get("beta", 0.0), contrast=contrast
    )
    n_chains = 2000

    with torch.no_grad():
        features = generator.trunk(z, size)
        maps = all_maps(n_clusters, *size)
        means = generator.mean(features.expand(len(maps), -1, -1, -1), maps)
        noise = MultivariateNormal(torch.zeros(D), 2.25 * torch.eye(D))
        log_lik = (noise.log_prob((x - means).permute(0, 2, 3, 1)) * mask).sum((1, 2)) / 2
        log_p = [
            brute_force_log_prior(
                y, pi, rows, options.get("alpha"), options.get("beta", 0.0), guide[0], contrast, mask[0]
            )
            for y in maps
        ]
        full = mask.expand(n_chains, -1, -1)
        graph = PixelGrid(
            *size,
            guide=guide if contrast else None,
            contrast=contrast,
            mask=mask,
            period=max(2, generator.receptive_field),
        )
        evidence = generator.evidence(
            x.expand(n_chains, -1, -1, -1), features.expand(n_chains, -1, -1, -1), full
        )
        if size == (2, 2):
            n_sweeps, label_map = 12, torch.zeros(n_chains, *size, dtype=torch.int64)
        else:  # large maps mix slowly, but a start from the law must stay in it
            law = (log_lik + torch.tensor(log_p)).softmax(0)
            n_sweeps, label_map = 3, maps[law.multinomial(n_chains, replacement=True, generator=random)]
        streams = Streams(0, range(n_chains))
        for _ in range(n_sweeps):
            label_map = gibbs.sweep(streams, label_map, evidence, prior, graph, tempering=2.0, mask=full)
    if options.get("masked"):
        # A masked cell follows its own prior, whatever it is; the law is that of the others.
        label_map = torch.where(mask, label_map, 0)
        log_p = [value if y[0, 1] == 0 else -torch.inf for y, value in zip(maps, log_p, strict=True)]
    assert_law(label_map, log_lik + torch.tensor(log_p), n_clusters)
    # The package's own p(y) is the same law.
    own = log_prior(maps, prior, graph, mask.expand(len(maps), -1, -1))
    finite = torch.tensor(log_p).isfinite()
    difference = (own - torch.tensor(log_p))[finite]
    torch.testing.assert_close(difference, difference[0].expand_as(difference), rtol=1e-4, atol=1e-4)


def grid_as_sparse(height: int, width: int) -> SparseGraph:
    edges, weights = [], []
    for p, q in itertools.combinations(itertools.product(range(height), range(width)), 2):
        if max(abs(p[0] - q[0]), abs(p[1] - q[1])) == 1:
            edges.append((p[0] * width + p[1], q[0] * width + q[1]))
            weights.append(1 / math.dist(p, q))
    return SparseGraph(height * width, torch.tensor(edges).T, torch.tensor(weights))


def test_sparse_graph_and_grid_sample_one_law() -> None:
    n_chains, n_clusters = 3000, 2
    values = torch.randn(1, n_clusters, 2, 3, generator=torch.Generator().manual_seed(0))
    evidence = values.expand(n_chains, -1, -1, -1)
    prior = LabelPrior(torch.tensor([0.6, 0.4]), potts_weight=0.7)
    maps = all_maps(n_clusters, 2, 3)
    law = log_prior(maps, prior, PixelGrid(2, 3)) + values.expand(len(maps), -1, -1, -1).gather(
        1, maps[:, None]
    ).sum((1, 2, 3))
    flat, graph = torch.zeros(n_chains, 6, dtype=torch.int64), grid_as_sparse(2, 3)
    streams = Streams(0, range(n_chains))
    for _ in range(15):
        flat = gibbs.sweep(streams, flat, evidence.flatten(2), prior, graph)
    assert_law(flat.view(-1, 2, 3), law, n_clusters)


@pytest.mark.parametrize("graph", [PixelGrid(6, 5), grid_as_sparse(6, 5)], ids=["grid", "sparse"])
def test_temperature_zero_never_lowers_the_joint_and_ends_at_a_fixed_point(graph) -> None:
    random = torch.Generator().manual_seed(0)
    evidence = torch.randn(3, 4, *graph.shape, generator=random)
    prior = LabelPrior(torch.full((4,), 0.25), concentration=0.1, potts_weight=0.8)
    label_map = torch.randint(4, (3, *graph.shape), generator=random)
    unused = Streams(0, [])

    def log_joint(labels, log_proportions):
        data = evidence.gather(1, labels[:, None])[:, 0] + log_proportions.gather(1, labels.flatten(1)).view(
            labels.shape
        )
        smooth = log_prior(labels, LabelPrior(prior.proportions, potts_weight=0.8), graph)
        pseudo = 0.1 * data[0].numel() * (prior.proportions * log_proportions).sum(1)
        return data.flatten(1).sum(1) + smooth - math.log(0.25) * data[0].numel() + pseudo

    last = torch.full((3,), -torch.inf)
    for _ in range(30):
        before = label_map
        log_proportions = gibbs.draw_log_proportions(unused, before, prior, 0.0, None)
        label_map = gibbs.sweep(unused, before, evidence, prior, graph, temperature=0.0)
        value = log_joint(label_map, log_proportions)
        assert (value >= last - 1e-3).all()
        last = value
    assert torch.equal(label_map, before)


def test_low_temperature_is_the_maximum() -> None:
    evidence = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    prior, graph = LabelPrior(torch.full((5,), 0.2)), PixelGrid(4, 4)
    start = torch.zeros(2, 4, 4, dtype=torch.int64)
    for temperature in (0.0, 1e-4):
        label_map = gibbs.sweep(Streams(0, [0, 1]), start, evidence, prior, graph, temperature=temperature)
        assert torch.equal(label_map, evidence.argmax(1))


def test_draws_do_not_depend_on_the_batch() -> None:
    evidence = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    prior = LabelPrior(torch.full((3,), 1 / 3), concentration=0.2, potts_weight=1.0)
    start = torch.zeros(4, 6, 6, dtype=torch.int64)
    ids = torch.tensor([3, 1, 0])
    both = gibbs.sweep(Streams(0, range(4)), start, evidence, prior, PixelGrid(6, 6))
    some = gibbs.sweep(Streams(0, ids.tolist()), start[ids], evidence[ids], prior, PixelGrid(6, 6))
    assert torch.equal(some, both[ids])


def test_inverse_distribution_function_is_exact_at_its_ends() -> None:
    probabilities = torch.tensor([0.0, 0.25, 0.0, 0.75, 0.0])
    uniform = torch.tensor([0.0, 0.2499999, 0.25, 1 - 2**-24])
    labels = gibbs.draw_labels(probabilities[None, :, None].expand(1, -1, 4), uniform[None])
    assert labels.tolist() == [[1, 1, 3, 3]]


def test_marginals_are_the_enumerated_ones() -> None:
    values = torch.randn(1, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    prior, graph = LabelPrior(torch.tensor([0.5, 0.5]), concentration=0.5, potts_weight=0.5), PixelGrid(2, 2)
    maps = all_maps(2, 2, 2)
    joint = log_prior(maps, prior, graph) + values.expand(16, -1, -1, -1).gather(1, maps[:, None]).sum(
        (1, 2, 3)
    )
    expected = (joint.softmax(0)[:, None, None] * maps).sum(0)
    start = torch.zeros(400, 2, 2, dtype=torch.int64)
    streams, label_map, total = Streams(0, range(400)), start, torch.zeros(400, 2, 2, 2)
    for index in range(25):
        evidence = values.expand(400, -1, -1, -1)
        kept = total if index >= 5 else None
        label_map = gibbs.sweep(streams, label_map, evidence, prior, graph, conditionals=kept)
    probabilities = total / 20
    torch.testing.assert_close(probabilities.sum(1), torch.ones(400, 2, 2))
    ones = probabilities[:, 1]
    assert ((ones.mean(0) - expected).abs() < 5 * ones.std(0) / 20).all()
    assert ones.mean(0).sub(label_map.float().mean(0)).abs().max() < 0.13


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_clamped_cells_leave_the_enumerated_posterior_of_the_others(alpha) -> None:
    """Two of six cells are known: the rest has the law of all maps that agree with them."""
    n_clusters, size = 3, (2, 3)
    random = torch.Generator().manual_seed(2)
    evidence = torch.randn(1, n_clusters, *size, generator=random)
    pi = torch.tensor([0.5, 0.2, 0.3])
    prior = LabelPrior(pi, concentration=alpha, potts_weight=0.7)
    clamp = torch.tensor([[[2, -1, -1], [-1, -1, 0]]])
    maps = all_maps(n_clusters, *size)
    mask = torch.ones(size, dtype=torch.bool)
    log_joint = torch.tensor(
        [brute_force_log_prior(y, pi, None, alpha, 0.7, None, None, mask) for y in maps]
    ) + evidence[0].gather(0, maps).flatten(1).sum(1)
    agrees = (maps[:, 0, 0] == 2) & (maps[:, 1, 2] == 0)
    law = log_joint.where(agrees, -torch.inf).softmax(0)
    exact = torch.stack([(law[:, None, None] * (maps == k)).sum(0) for k in range(n_clusters)])

    n_chains = 2000
    labels = torch.randint(n_clusters, (n_chains, *size), generator=random)
    graph = PixelGrid(*size)
    streams = Streams(0, range(n_chains))
    total = torch.zeros(n_chains, n_clusters, *size)
    for index in range(20):
        labels = gibbs.sweep(
            streams,
            labels,
            evidence.expand(n_chains, -1, -1, -1),
            prior,
            graph,
            clamp=clamp.expand(n_chains, -1, -1),
            conditionals=total if index >= 10 else None,
        )
        assert (labels[:, 0, 0] == 2).all()
        assert (labels[:, 1, 2] == 0).all()
    torch.testing.assert_close(total.mean(0) / 10, exact, atol=0.015, rtol=0)


def test_clamped_cells_stay_at_temperature_zero_and_the_rest_is_the_mode() -> None:
    evidence = torch.zeros(1, 2, 1, 5)
    evidence[0, 1] = -0.5  # alone, every cell would take 0
    clamp = torch.tensor([[[1, -1, -1, -1, 1]]])
    labels = torch.zeros(1, 1, 5, dtype=torch.int64)
    prior = LabelPrior(torch.tensor([0.5, 0.5]), potts_weight=1.0)
    for _ in range(4):
        labels = gibbs.sweep(
            Streams(0, [0]), labels, evidence, prior, PixelGrid(1, 5), temperature=0, clamp=clamp
        )
    assert labels.tolist() == [[[1, 0, 0, 0, 1]]]
    strong = LabelPrior(torch.tensor([0.5, 0.5]), potts_weight=1.2)
    one = torch.tensor([[[1, -1, 1, -1, 1]]])
    labels = gibbs.sweep(Streams(0, [0]), labels, evidence, strong, PixelGrid(1, 5), temperature=0, clamp=one)
    assert labels.tolist() == [[[1, 1, 1, 1, 1]]]


def test_known_labels_leave_one_choice() -> None:
    """The others of the probabilities stay as they are, on a grid and without one."""
    probabilities = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0)).softmax(1)
    known = torch.tensor([[-1, 2], [0, -1], [-1, -1]])
    found = gibbs.held(probabilities, known)
    assert found[0, :, 1].tolist() == [0, 0, 1, 0]
    assert found[1, :, 0].tolist() == [1, 0, 0, 0]
    free = (known < 0)[:, None].expand(-1, 4, -1)
    assert torch.equal(found[free], probabilities[free])
    assert torch.equal(gibbs.held(probabilities[..., 1], known[:, 1]), found[..., 1])


def test_mean_field_given_labels_is_that_of_evidence_that_leaves_no_other_choice() -> None:
    evidence = torch.randn(2, 3, 12, generator=torch.Generator().manual_seed(0))
    prior = LabelPrior(torch.tensor([0.5, 0.3, 0.2]), concentration=0.2, potts_weight=0.7)
    graph = grid_as_sparse(3, 4)
    clamp = torch.full((2, 12), -1)
    clamp[0, 5], clamp[1, :3] = 2, 1
    sure = evidence.clone()
    sure[0, :2, 5] = sure[1, ::2, :3] = -torch.inf
    free = gibbs.mean_field(evidence, prior, graph, n_sweeps=4)
    wanted = gibbs.mean_field(sure, prior, graph, n_sweeps=4)
    found = gibbs.mean_field(evidence, prior, graph, n_sweeps=4, clamp=clamp)
    assert found.argmax(1)[clamp >= 0].tolist() == [2, 1, 1, 1]
    torch.testing.assert_close(found, wanted)
    assert (found - free).abs().amax(1)[clamp < 0].max() > 0.05  # their neighbours follow them


def test_mean_field_is_exact_without_interactions_and_its_bound_never_falls() -> None:
    evidence = torch.randn(2, 3, 25, generator=torch.Generator().manual_seed(0))
    pi, graph = torch.tensor([0.5, 0.3, 0.2]), grid_as_sparse(5, 5)
    q = gibbs.mean_field(evidence, LabelPrior(pi), graph, n_sweeps=1, tempering=2.0)
    torch.testing.assert_close(q, (evidence / 2 + pi.log()[:, None]).softmax(1))

    prior, alpha = LabelPrior(pi, concentration=0.2, potts_weight=0.7), 0.2 * 25 * pi

    def bound(q):
        counts = alpha + q.flatten(2).sum(2)
        # E log p(y, theta) - E log q(theta) with q(theta) at its optimum, up to a constant.
        dirichlet = counts.lgamma().sum(1) - counts.sum(1).lgamma()
        votes = torch.zeros_like(q)
        for colour, cells in enumerate(graph.colours):
            votes[cells] = graph.soft_votes(q, colour)
        local = q * (evidence + 0.7 * votes / 2) + torch.special.entr(q)
        return dirichlet + local.flatten(1).sum(1)

    q, last = None, torch.full((2,), -torch.inf)
    for _ in range(8):
        q = gibbs.mean_field(evidence, prior, graph, n_sweeps=1, start=q)
        assert (bound(q) >= last - 1e-3).all()
        last = bound(q)


def test_single_cell_maps_integrate_the_proportions_out_exactly() -> None:
    pi = torch.tensor([0.7, 0.2, 0.1])
    n = 3000
    prior = LabelPrior(pi, concentration=0.5)
    label_map = gibbs.sweep(
        Streams(0, range(n)), torch.full((n, 1, 1), 2), torch.zeros(n, 3, 1, 1), prior, PixelGrid(1, 1)
    )
    shares = torch.bincount(label_map.flatten(), minlength=3) / n
    assert ((shares - pi).abs() < 5 * (pi * (1 - pi) / n).sqrt()).all()


def test_without_concentration_the_proportions_are_pi_and_nothing_is_counted_or_drawn(monkeypatch) -> None:
    pi, streams = torch.tensor([0.7, 0.2, 0.1]), Streams(0, range(4))
    monkeypatch.setattr(gibbs, "label_counts", lambda *_: pytest.fail("labels were counted"))
    logs = gibbs.draw_log_proportions(streams, torch.zeros(4, 5, 5, dtype=torch.int64), LabelPrior(pi))
    assert torch.equal(logs, pi.log().expand(4, 3))
    assert torch.equal(streams.uniform((3,)), Streams(0, range(4)).uniform((3,)))


def test_pruned_clusters_stay_empty() -> None:
    prior = LabelPrior(torch.tensor([0.5, 0.5, 0.0]), concentration=0.3, potts_weight=0.5)
    evidence = torch.zeros(2, 3, 5, 5)
    evidence[:, 2] = 10.0
    label_map = torch.zeros(2, 5, 5, dtype=torch.int64)
    for temperature in (1.0, 0.0):
        label_map = gibbs.sweep(
            Streams(0, [0, 1]), label_map, evidence, prior, PixelGrid(5, 5), temperature=temperature
        )
        assert (label_map < 2).all()
    q = gibbs.mean_field(evidence.flatten(2), prior, grid_as_sparse(5, 5), n_sweeps=2)
    assert q[:, 2].eq(0).all()
    assert q.isfinite().all()
