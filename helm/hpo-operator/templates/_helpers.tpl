{{- define "hpo-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Names of Services and of labels end at 63 characters. */}}
{{- define "hpo-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "hpo-operator.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hpo-operator.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Never to change: a Deployment's selector cannot be edited. */}}
{{- define "hpo-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hpo-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hpo-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hpo-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Not the selector's: the Service must not send requests to the Pod of `helm test`. */}}
{{- define "hpo-operator.testLabels" -}}
app.kubernetes.io/name: {{ include "hpo-operator.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "hpo-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "hpo-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image's reference; takes a dict with `image` and `root`. */}}
{{- define "hpo-operator.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What every Pod of the restricted Pod security standard says, for the operator and the chart's test. */}}
{{- define "hpo-operator.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hpo-operator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The labels by which the operator's own Pods of trials are known. */}}
{{- define "hpo-operator.trialLabels" -}}
app.kubernetes.io/name: hpo-trial
app.kubernetes.io/managed-by: hpo-operator
{{- end -}}

{{/* Namespaces of the trials' NetworkPolicies, as JSON. */}}
{{- define "hpo-operator.trialNamespaces" -}}
{{- $chosen := default .Values.watchNamespaces .Values.networkPolicy.trials.namespaces -}}
{{- if not $chosen -}}
{{- fail "networkPolicy.trials.namespaces: expected the trials' namespaces, since watchNamespaces is empty too; name at least one" -}}
{{- end -}}
{{- toJson $chosen -}}
{{- end -}}

{{/* Removes the rules in CEL from a CRD, in place: servers before 1.25 refuse them. The operator checks the same rules. */}}
{{- define "hpo-operator.withoutRules" -}}
{{- if kindIs "map" . -}}
{{- $_ := unset . "x-kubernetes-validations" -}}
{{- range . }}{{ include "hpo-operator.withoutRules" . }}{{ end -}}
{{- else if kindIs "slice" . -}}
{{- range . }}{{ include "hpo-operator.withoutRules" . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Addresses by name, as the operator reads them. */}}
{{- define "hpo-operator.prometheusServers" -}}
{{- $pairs := list -}}
{{- range $name, $address := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $name $address) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}
