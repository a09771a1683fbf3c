{{- define "lipfarm.name" -}}
{{- if contains "lipfarm" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-lipfarm" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "lipfarm.secret" -}}
{{ required "secret.existing: name a secret with LIPFARM_DATABASE_URL and the other addresses and keys" .Values.secret.existing }}
{{- end }}

{{/* Of everything. */}}
{{- define "lipfarm.labels" -}}
app.kubernetes.io/name: lipfarm
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* By which pods of one kind are found: (list . "api"). */}}
{{- define "lipfarm.selector" -}}
app.kubernetes.io/name: lipfarm
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The environment of every process. Written out, for the migrations run before anything else is
there that could hold it. */}}
{{- define "lipfarm.env" -}}
{{- range $name, $value := .Values.config }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- if .Values.metrics.enabled }}
- name: LIPFARM_METRICS_TOKEN
  valueFrom:
    secretKeyRef: {name: {{ include "lipfarm.secret" . }}, key: LIPFARM_METRICS_TOKEN}
{{- end }}
{{- end }}

{{- define "lipfarm.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "lipfarm.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
envFrom:
  - secretRef: {name: {{ include "lipfarm.secret" . }}}
{{- end }}

{{/* One of several is always there: (list . "api"). */}}
{{- define "lipfarm.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "lipfarm.name" (index . 0) }}-{{ index . 1 }}
  labels: {{- include "lipfarm.labels" (index . 0) | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "lipfarm.selector" . | nindent 6 }}
{{- end }}

{{/* Not two on one node, if it can be helped: (list . "api"). */}}
{{- define "lipfarm.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "lipfarm.selector" . | nindent 8 }}
{{- end }}
