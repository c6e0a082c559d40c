//! Ordain's own rules for kinds of well-known controllers, as text in the binary, read at the first use.

use std::sync::LazyLock;

use super::HealthRules;

/// One file for each group, or for groups of one product.
const TEXTS: [&str; 54] = [
    include_str!("rules/3scale.net.yaml"),
    include_str!("rules/acid.zalan.do.yaml"),
    include_str!("rules/apps.kruise.io.yaml"),
    include_str!("rules/argoproj.io.yaml"),
    include_str!("rules/astra.netapp.io.yaml"),
    include_str!("rules/camel.apache.org.yaml"),
    include_str!("rules/ceph.rook.io.yaml"),
    include_str!("rules/cert-manager.io.yaml"),
    include_str!("rules/clickhouse.altinity.com.yaml"),
    include_str!("rules/clouds.yaml"),
    include_str!("rules/cluster.x-k8s.io.yaml"),
    include_str!("rules/coralogix.com.yaml"),
    include_str!("rules/core.humio.com.yaml"),
    include_str!("rules/core.spinkube.dev.yaml"),
    include_str!("rules/crossplane.io.yaml"),
    include_str!("rules/elastic.co.yaml"),
    include_str!("rules/external-secrets.io.yaml"),
    include_str!("rules/fluxcd.io.yaml"),
    include_str!("rules/game.kruise.io.yaml"),
    include_str!("rules/gateway.networking.k8s.io.yaml"),
    include_str!("rules/grafana.yaml"),
    include_str!("rules/istio.io.yaml"),
    include_str!("rules/jaegertracing.io.yaml"),
    include_str!("rules/k8s.keycloak.org.yaml"),
    include_str!("rules/k8s.mariadb.com.yaml"),
    include_str!("rules/kafka.strimzi.io.yaml"),
    include_str!("rules/keda.sh.yaml"),
    include_str!("rules/keptn.sh.yaml"),
    include_str!("rules/kiali.io.yaml"),
    include_str!("rules/kubevirt.io.yaml"),
    include_str!("rules/kyverno.io.yaml"),
    include_str!("rules/microgateway.airlock.com.yaml"),
    include_str!("rules/nmstate.io.yaml"),
    include_str!("rules/numaproj.io.yaml"),
    include_str!("rules/objectbucket.io.yaml"),
    include_str!("rules/onepassword.com.yaml"),
    include_str!("rules/openshift.io.yaml"),
    include_str!("rules/opentelemetry.io.yaml"),
    include_str!("rules/operator.victoriametrics.com.yaml"),
    include_str!("rules/percona.com.yaml"),
    include_str!("rules/platform.confluent.io.yaml"),
    include_str!("rules/policy.open-cluster-management.io.yaml"),
    include_str!("rules/postgresql.cnpg.io.yaml"),
    include_str!("rules/projectcontour.io.yaml"),
    include_str!("rules/promoter.argoproj.io.yaml"),
    include_str!("rules/pulumi.com.yaml"),
    include_str!("rules/rabbitmq.com.yaml"),
    include_str!("rules/serving.yaml"),
    include_str!("rules/snapshot.storage.k8s.io.yaml"),
    include_str!("rules/solo.io.yaml"),
    include_str!("rules/solr.apache.org.yaml"),
    include_str!("rules/sparkoperator.k8s.io.yaml"),
    include_str!("rules/spot.io.yaml"),
    include_str!("rules/tekton.dev.yaml"),
];

static RULES: LazyLock<HealthRules> = LazyLock::new(|| {
    TEXTS
        .iter()
        .map(|text| HealthRules::parse(text).expect("a test reads every file"))
        .fold(HealthRules::default(), HealthRules::and)
});

pub(super) fn rules() -> &'static HealthRules {
    &RULES
}
