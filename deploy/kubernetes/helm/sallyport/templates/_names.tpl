{{/* The name of what this release makes. */}}
{{- define "sallyport.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that select; never to be changed, because a Deployment refuses it. */}}
{{- define "sallyport.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{/* Labels of everything. */}}
{{- define "sallyport.labels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* A digest beats a tag: it cannot come to mean another image. */}}
{{- define "sallyport.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.serviceAccountName" -}}
{{- default (printf "%s-gateway" (include "sallyport.fullname" .)) .Values.gateway.serviceAccount.name -}}
{{- end -}}

{{/* The secret of the doors: somebody else's, or the one that cert-manager fills. */}}
{{- define "sallyport.tlsSecretName" -}}
{{- with .Values.gateway -}}
{{- $made := printf "%s-gateway-tls" (include "sallyport.fullname" $) -}}
{{- $words := "gateway.tlsSecretName: name a secret of type kubernetes.io/tls, because apps reach the gateway over TLS alone; or let cert-manager make it: gateway.certificate.enabled" -}}
{{- required $words (coalesce .tlsSecretName (ternary $made "" .certificate.enabled)) -}}
{{- end -}}
{{- end -}}
