{{/* The name in labels. */}}
{{- define "headscale-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What objects are called, or begin with: short enough for what comes behind it in a Service. */}}
{{- define "headscale-operator.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $kind := .Values.nameOverride | default .Chart.Name -}}
{{- $name = contains $kind .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $kind) -}}
{{- end -}}
{{- $name | trunc 47 | trimSuffix "-" -}}
{{- end -}}

{{- define "headscale-operator.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "headscale-operator.account" -}}
{{- $otherwise := .Values.serviceAccount.create | ternary (include "headscale-operator.fullname" .) "default" -}}
{{- .Values.serviceAccount.name | default $otherwise -}}
{{- end -}}

{{/* The labels that pods are found by, which never change. */}}
{{- define "headscale-operator.selector" -}}
app.kubernetes.io/name: {{ include "headscale-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The labels of pods; what the chart sets goes before what values say, and no key stands twice. */}}
{{- define "headscale-operator.podLabels" -}}
{{- $own := dict
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "headscale" -}}
{{- $own = merge (include "headscale-operator.selector" . | fromYaml) $own -}}
{{- merge $own .Values.podLabels .Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The labels of all other objects. */}}
{{- define "headscale-operator.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "headscale" -}}
{{- $own = merge (include "headscale-operator.selector" . | fromYaml) $own -}}
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The port of healthProbeBindAddress; empty where nothing is served. */}}
{{- define "headscale-operator.healthPort" -}}
{{- if ne .Values.healthProbeBindAddress "0" -}}
{{- regexFind "[0-9]+$" .Values.healthProbeBindAddress -}}
{{- end -}}
{{- end -}}

{{/*
The arguments: what the values stand for, and `args`. What is in both stands once, and what
contradicts is refused: probes, Service and rights are made from the values.
*/}}
{{- define "headscale-operator.args" -}}
{{- $own := list -}}
{{- if .Values.leaderElection.enabled -}}
{{- $own = append $own "--leader-elect" -}}
{{- end -}}
{{- $own = append $own (printf "--health-probe-bind-address=%s" .Values.healthProbeBindAddress) -}}
{{- $metrics := .Values.metrics.enabled | ternary (printf ":%d" (int .Values.metrics.port)) "0" -}}
{{- $own = append $own (printf "--metrics-bind-address=%s" $metrics) -}}
{{- range .Values.watchNamespaces -}}
{{- $own = append $own (printf "--namespace=%s" .) -}}
{{- end -}}
{{- with .Values.logLevel -}}
{{- $own = append $own (printf "--log-level=%s" .) -}}
{{- end -}}
{{- with (.Values.sidecar).image -}}
{{- $own = append $own (printf "--sidecar-image=%s" .) -}}
{{- end -}}
{{- $values := dict
  "--leader-elect" "leaderElection.enabled"
  "--health-probe-bind-address" "healthProbeBindAddress"
  "--metrics-bind-address" "metrics.enabled and metrics.port"
  "--namespace" "watchNamespaces"
  "--log-level" "logLevel"
  "--sidecar-image" "sidecar.image" -}}
{{- $args := $own -}}
{{- range .Values.args -}}
{{- $value := get $values (regexFind "^[^=]*" .) -}}
{{- if not $value -}}
{{- $args = append $args . -}}
{{- else if not (has (trimSuffix "=true" .) $own) -}}
{{- fail (printf "args: %s is not what %s comes to; set %s instead" . $value $value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $args -}}
{{- end -}}

{{/* What no single value is wrong about. */}}
{{- define "headscale-operator.check" -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.leaderElection.enabled) -}}
{{- fail "replicaCount: more than one operator needs leaderElection.enabled, else all are at work at once" -}}
{{- end -}}
{{- if eq .Values.image.repository "ghcr.io/infradohq/headscale-operator" -}}
{{- fail "image.repository: this is the image of the Go operator, which this chart is not for; remove the value" -}}
{{- end -}}
{{- end -}}
